package extproc

// printable reports whether b holds nothing but printable ASCII characters.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

const maxRequestID = 128

// validRequestID reports whether a label has 1 to 128 characters of [A-Za-z0-9._-].
func validRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func (h *headers) credentialsPrintable() bool {
	return printable(h.authorization) && printable(h.apiKey) && printable(h.xAPIKey) && printable(h.providerKey)
}
