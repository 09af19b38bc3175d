"""Connections at work: streams are pulled, notices received, named records fetched, subscriptions looked after."""
