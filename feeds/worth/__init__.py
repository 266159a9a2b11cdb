"""What accounts are worth together: prices of assets, cost of holdings, one statement per user, equity over time."""
