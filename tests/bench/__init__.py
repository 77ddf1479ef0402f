"""The benchmark: what the keeper costs, as ratios taken in one run over real parts."""
