"""What leaves production and in which form: policy, strategies, the seal, the proof."""
