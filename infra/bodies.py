"""The bucket of bodies that a queue message cannot hold.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
"""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.stages import Stage


def create_bucket(scope: Construct, stage: Stage) -> s3.Bucket:
    """Creates the bucket: private, encrypted, over TLS only, and emptied by age."""
    bucket = s3.Bucket(
        scope,
        "Bodies",
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        lifecycle_rules=[
            s3.LifecycleRule(
                expiration=Duration.days(stage.body_days),
                abort_incomplete_multipart_upload_after=Duration.days(1),
            )
        ],
        removal_policy=RemovalPolicy.RETAIN if stage.is_durable else RemovalPolicy.DESTROY,
    )
    acknowledge(bucket, "AwsSolutions-S1", "Three functions of ours use it; a log would be as large as what it logs")
    return bucket
