"""Where documents live: the store under the TinyDB tables. Knows no influencers and no HTTP."""
