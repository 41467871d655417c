"""Who answers for a Service: EndpointSlices (`slices`) and the older Endpoints (`legacy`).

Both are made from what `members` finds in Services and pods. A Service without a selector is left to whoever
made it."""
