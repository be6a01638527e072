package extproc

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"ai-gateway/gateway"
)

// Requests of envoy.service.ext_proc.v3 are decoded here without a protobuf library: only needed
// fields, without copying.
// Source: https://github.com/envoyproxy/envoy/blob/v1.40.0/api/envoy/service/ext_proc/v3/external_processor.proto

// kind is the field number of a message's variant in ProcessingRequest.
type kind protowire.Number

const (
	requestHeaders   kind = 2
	responseHeaders  kind = 3
	requestBody      kind = 4
	responseBody     kind = 5
	requestTrailers  kind = 6
	responseTrailers kind = 7
)

// message is a ProcessingRequest, reduced to the fields that are used. Its slices are parts of the
// bytes that it was read from.
type message struct {
	kind    kind
	headers headers
	body    []byte
	end     bool // end_of_stream
}

// headers are the header fields that are used; nil if absent.
type headers struct {
	method, path, status, contentType, contentLength, contentEncoding, server, requestID []byte
	authorization, apiKey, xAPIKey, providerKey                                          []byte // credentials
	cookie, fetchSite, origin, authority                                                 []byte // of a page of the gateway's own: its session
	peer, forwardedFor                                                                   []byte // Envoy's two headers with the client's address
	tags                                                                                 []byte // of all X-Gateway-Tags, with commas between them
	repeated                                                                             []byte // the name of a credential that came twice, with different values
}

// field returns where the value of a header belongs, or nil.
func (h *headers) field(name []byte) *[]byte {
	switch string(name) { // does not allocate
	case ":method":
		return &h.method
	case ":path":
		return &h.path
	case ":status":
		return &h.status
	case "authorization":
		return &h.authorization
	case "api-key":
		return &h.apiKey
	case "x-api-key":
		return &h.xAPIKey
	case "x-provider-key":
		return &h.providerKey
	case "cookie":
		return &h.cookie
	case "sec-fetch-site":
		return &h.fetchSite
	case "origin":
		return &h.origin
	case ":authority":
		return &h.authority
	case "content-type":
		return &h.contentType
	case "content-length":
		return &h.contentLength
	case "content-encoding":
		return &h.contentEncoding
	case "server":
		return &h.server
	case "x-request-id":
		return &h.requestID
	case gateway.TagsHeader:
		return &h.tags
	case "x-envoy-external-address":
		return &h.peer
	case "x-forwarded-for":
		return &h.forwardedFor
	}
	return nil
}

var errTruncated = errors.New("the message is cut off, or is not protobuf")

// each calls f for every field of a message; v is the value of a
// length-delimited field, n that of a varint.
func each(b []byte, f func(tag uint64, v []byte, n uint64) error) error {
	for len(b) > 0 {
		num, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errTruncated
		}
		b = b[size:]
		var v []byte
		var n uint64
		switch typ {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(num, typ, b)
		}
		if size < 0 {
			return errTruncated
		}
		b = b[size:]
		if err := f(protowire.EncodeTag(num, typ), v, n); err != nil {
			return err
		}
	}
	return nil
}

// parse reads a ProcessingRequest. As in protobuf, the last variant counts, and a repeated one is
// merged.
func parse(b []byte) (message, error) {
	var m message
	err := each(b, func(tag uint64, v []byte, _ uint64) error {
		k := kind(tag >> 3)
		if tag != bytesTag(protowire.Number(k)) || k < requestHeaders || k > responseTrailers {
			return nil
		}
		if m.kind != k {
			m = message{kind: k}
		}
		switch k {
		case requestHeaders, responseHeaders:
			return m.parseHeaders(v)
		case requestBody, responseBody:
			return m.parseBody(v)
		}
		return nil
	})
	if err == nil && m.kind == 0 {
		err = errors.New("message has no known variant")
	}
	return m, err
}

// parseBody reads an HttpBody.
func (m *message) parseBody(b []byte) error {
	return each(b, func(tag uint64, v []byte, n uint64) error {
		switch tag {
		case bytesTag(httpBodyBody):
			m.body = v
		case varintTag(httpBodyEndOfStream):
			m.end = n != 0
		}
		return nil
	})
}

// parseHeaders reads an HttpHeaders.
func (m *message) parseHeaders(b []byte) error {
	return each(b, func(tag uint64, v []byte, n uint64) error {
		switch tag {
		case bytesTag(httpHeadersHeaders):
			return m.headers.parse(v)
		case varintTag(httpHeadersEndOfStream):
			m.end = n != 0
		}
		return nil
	})
}

// parse reads a HeaderMap. Of a repeated header, the last one counts; a repeated credential is
// noted.
func (h *headers) parse(b []byte) error {
	return each(b, func(tag uint64, v []byte, _ uint64) error {
		if tag != bytesTag(headerMapHeaders) {
			return nil
		}
		return h.parseOne(v)
	})
}

// parseOne reads a HeaderValue. Envoy fills raw_value; value is the older way.
func (h *headers) parseOne(b []byte) error {
	var key, value, raw []byte
	err := each(b, func(tag uint64, v []byte, _ uint64) error {
		switch tag {
		case bytesTag(headerValueKey):
			key = v
		case bytesTag(headerValueValue):
			value = v
		case bytesTag(headerValueRawValue):
			raw = v
		}
		return nil
	})
	if len(raw) > 0 {
		value = raw
	}
	if field := h.field(key); field != nil {
		if *field != nil && h.isCredential(field) && !bytes.Equal(*field, value) {
			h.repeated = key
		}
		*field = h.joined(field, value)
	}
	return err
}

// joined is a header's value after earlier ones of the same name, for headers that are lists.
// Source: https://www.rfc-editor.org/rfc/rfc9110#section-5.3
func (h *headers) joined(field *[]byte, value []byte) []byte {
	if field != &h.tags || len(h.tags) == 0 {
		return value
	}
	return bytes.Join([][]byte{h.tags, value}, []byte(","))
}

func (h *headers) isCredential(field *[]byte) bool {
	return field == &h.authorization || field == &h.apiKey || field == &h.xAPIKey || field == &h.providerKey
}

// client is the address of the client as Envoy saw it: the peer if Envoy names it, or else the
// entry that Envoy appended to X-Forwarded-For. Earlier entries may be forged.
func (h *headers) client() []byte {
	if len(h.peer) > 0 {
		return h.peer
	}
	return bytes.TrimSpace(h.forwardedFor[bytes.LastIndexByte(h.forwardedFor, ',')+1:])
}
