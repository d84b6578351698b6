"""The engines: databases of JSON documents under the TinyDB tables. They know no influencers and no HTTP."""
