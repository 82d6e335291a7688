//! A request for a session is served by the machine that owns the session.
