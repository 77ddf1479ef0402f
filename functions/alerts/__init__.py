"""What people are told: alerts of a change of state, and their delivery."""
