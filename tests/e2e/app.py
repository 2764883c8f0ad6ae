"""``python -m tests.e2e.app FOLDER``: the CDK app, as ``infra.app`` writes it, with the assets in a folder."""

import sys
from pathlib import Path

from aws_cdk import App

from infra.app import add_stage, choose_stages
from infra.packaging import read_assets

if __name__ == "__main__":
    assets = read_assets(Path(sys.argv[1]))
    app = App()
    for stage in choose_stages(app):
        add_stage(app, stage, assets)
    app.synth()
