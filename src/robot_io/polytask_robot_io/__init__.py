"""The topic contract: messages to arrays and back, time synchronisation, QoS, command limits."""
