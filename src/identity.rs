//! Machine identities of the platforms.
