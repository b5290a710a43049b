"""Networks trained on randomized simulations, judged on data by other authors."""
