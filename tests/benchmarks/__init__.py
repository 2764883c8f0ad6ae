"""What a delivery costs, measured beside plain versions of the same job."""
