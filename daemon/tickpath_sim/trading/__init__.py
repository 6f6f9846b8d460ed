"""The trading side of the simulated venue: accounts, orders, user data, and what of the market they make or see."""
