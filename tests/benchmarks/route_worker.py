"""The product's workers, those of route alone: what a task would do to the outside is not measured."""

from shared.config import read_config
from shared.local.workers import WorkersConfig, load_sources, run_workers, watch_signals


def main() -> None:
    """Works on deliveries until SIGTERM."""
    stop = watch_signals()
    config = read_config(WorkersConfig)
    sources = [source for source in load_sources(config) if source.function == "route"]
    run_workers(sources, [], region=config.region, endpoint=config.endpoint, stop=stop)


if __name__ == "__main__":
    main()
