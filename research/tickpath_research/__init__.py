"""The research process: history, and what is made of it. It knows `tickpath`, and neither the daemon nor admin."""
