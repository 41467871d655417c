"""Load balancers without a cloud, as k3s's servicelb has them: a Service of that type gets the addresses of
hosts, and the proxies answer its ports there. `hosts` says which hosts, `claims` whose port is whose,
`controller` what the Service's status becomes."""
