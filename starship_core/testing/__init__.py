"""What tests of the core and its plugins share: real servers, fresh databases, a manual clock."""
