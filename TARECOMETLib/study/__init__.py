"""The study: from many patients to effective and safe dose."""
