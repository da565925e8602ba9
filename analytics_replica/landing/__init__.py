"""Where batches live: masked Parquet files, manifests, and the loop that makes them."""
