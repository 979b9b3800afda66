"""Making inventories: transactions and their states, the run, and the journal that survives a crash."""
