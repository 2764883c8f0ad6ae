"""The bundle on AWS: CDK only. It imports neither ``shared`` nor ``functions``; tests bridge the two."""
