"""The client API over HTTP: the gate outside, Litestar within."""
