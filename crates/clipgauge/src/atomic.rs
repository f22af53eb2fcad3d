//! Files that appear whole or not at all: written beside, synced, renamed.
