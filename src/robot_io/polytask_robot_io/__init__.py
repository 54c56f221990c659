"""The topic contract applied: messages to arrays and back, joined by stamp, with limits and QoS by name."""
