package gateway

// ListedModel is a model in a backend's own list.
type ListedModel struct {
	ID      Model
	Created int64  // Unix time; 0 if it does not say
	OwnedBy string // "" if it does not say
}
