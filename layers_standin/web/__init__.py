"""What every HTTP answer has in common: keys, errors, headers, the log."""
