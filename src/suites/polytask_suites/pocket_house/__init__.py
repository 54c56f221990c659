"""A small house in two dimensions in which a mobile manipulator puts an object where it belongs."""
