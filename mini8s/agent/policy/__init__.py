"""Who may talk to this host's pods, and to whom they may: NetworkPolicies, in one nftables table."""
