"""The masking proof: what the warehouse really holds, against what the policy says."""
