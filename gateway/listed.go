package gateway

// ListedModel is a model that a backend lists itself.
type ListedModel struct {
	ID      Model
	Created int64  // Unix time; 0 if it does not say
	OwnedBy string // "" if it does not say
}
