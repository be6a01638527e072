package fakeprovider

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Field is one header line, as written.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Reply is one answer.
type Reply struct {
	Wait    time.Duration // before the first byte
	Status  int
	Header  []Field // sent in this order; "content-length: auto" is computed
	Body    []Piece
	Trailer []Field
	Never   bool // nothing is answered, however long the client waits
}

// Piece is a part of a body that is written at once.
type Piece struct {
	Wait  time.Duration // before it is written
	Bytes []byte
	Then  Ending
}

// Ending says what happens to the connection after a piece.
type Ending uint8

// The endings of a connection. Zero continues.
const (
	GoOn  Ending = iota
	Reset        // the connection is reset (RST)
	Close        // the connection is closed before the body's end
)

// splitWait is how long a split waits, so that its two sides are read apart.
const splitWait = 4 * time.Millisecond

// Marks in the text of a reply. A text that needs one of the two quotes itself
// writes it as «hex c2ab» or «hex c2bb».
const (
	markOpen  = "«"
	markClose = "»"
)

// ParseReply reads a reply's text: a status line or only a status, header lines,
// an empty line, and the body, in which marks say what cannot be typed:
//
//	«split»         what comes before and after is written apart
//	«wait 20ms»     the same, with a pause
//	«hex f09f»      bytes
//	«cr»            a carriage return
//	«reset»         the connection is reset
//	«close»         the connection is closed before its time
//	«trailer a: b»  a trailer behind a chunked body
//
// A «wait» on a line of its own before the status holds the whole reply back.
// The text's last line break is not part of the body. Without a content-length the
// body is chunked, or ends with the connection if there is "connection: close".
// The text «never» alone is a reply that does not come.
func ParseReply(text string) (Reply, error) {
	if strings.TrimSpace(text) == "«never»" {
		return Reply{Never: true}, nil
	}
	var r Reply
	var err error
	if text, err = r.parseWait(text); err != nil {
		return Reply{}, err
	}
	head, body, _ := strings.Cut(strings.TrimSuffix(text, "\n")+"\n", "\n\n")
	status, fields, _ := strings.Cut(head, "\n")
	if r.Status, err = parseStatus(status); err != nil {
		return Reply{}, err
	}
	if r.Header, err = parseFields(fields); err != nil {
		return Reply{}, err
	}
	err = r.parseBody(strings.TrimSuffix(body, "\n"))
	return r, err
}

// parseWait reads what may stand before the status and returns what follows.
func (r *Reply) parseWait(text string) (rest string, err error) {
	wait, marked := strings.CutPrefix(text, markOpen+"wait ")
	if !marked {
		return text, nil
	}
	wait, rest, _ = strings.Cut(wait, markClose+"\n")
	if r.Wait, err = time.ParseDuration(wait); err != nil {
		return "", fmt.Errorf("wait before the status: %w", err)
	}
	return rest, nil
}

func parseStatus(line string) (int, error) {
	words := strings.Fields(line)
	if len(words) > 0 && strings.HasPrefix(words[0], "HTTP/") {
		words = words[1:]
	}
	if len(words) == 0 {
		return 0, errors.New("a reply begins with its status")
	}
	status, err := strconv.Atoi(words[0])
	if err != nil || status < 100 || status > 999 {
		return 0, fmt.Errorf("status %q is none", words[0])
	}
	return status, nil
}

func parseFields(text string) ([]Field, error) {
	var fields []Field
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		f, err := parseField(line)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func parseField(line string) (Field, error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return Field{}, fmt.Errorf("header line %q has no name and colon", line)
	}
	return Field{name, strings.TrimSpace(value)}, nil
}

func (r *Reply) parseBody(text string) error {
	piece := Piece{}
	for text != "" {
		plain, rest, marked := strings.Cut(text, markOpen)
		piece.Bytes = append(piece.Bytes, plain...)
		if !marked {
			break
		}
		mark, after, closed := strings.Cut(rest, markClose)
		if !closed {
			return fmt.Errorf("mark %q has no end", rest)
		}
		if err := r.mark(mark, &piece); err != nil {
			return err
		}
		text = after
	}
	r.add(piece)
	return nil
}

// mark does what a mark says to the piece at hand.
func (r *Reply) mark(mark string, piece *Piece) error {
	word, argument, _ := strings.Cut(mark, " ")
	switch word {
	case "split":
		r.add(*piece)
		*piece = Piece{Wait: splitWait}
	case "wait":
		wait, err := time.ParseDuration(argument)
		if err != nil {
			return fmt.Errorf("mark %q: %w", mark, err)
		}
		r.add(*piece)
		*piece = Piece{Wait: wait}
	case "hex":
		b, err := hex.DecodeString(argument)
		if err != nil {
			return fmt.Errorf("mark %q: %w", mark, err)
		}
		piece.Bytes = append(piece.Bytes, b...)
	case "cr":
		piece.Bytes = append(piece.Bytes, '\r')
	case "reset", "close":
		piece.Then = map[string]Ending{"reset": Reset, "close": Close}[word]
		r.Body = append(r.Body, *piece)
		*piece = Piece{}
	case "trailer":
		f, err := parseField(argument)
		r.Trailer = append(r.Trailer, f)
		return err
	default:
		return fmt.Errorf("mark %q is not known", mark)
	}
	return nil
}

func (r *Reply) add(p Piece) {
	if len(p.Bytes) > 0 || p.Wait > 0 {
		r.Body = append(r.Body, p)
	}
}

// size is the body's length.
func (r Reply) size() int {
	n := 0
	for _, p := range r.Body {
		n += len(p.Bytes)
	}
	return n
}
