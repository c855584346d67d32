package query

import "bytes"

// csvEnd ends a record. RFC 4180 wants both bytes.
const csvEnd = "\r\n"

// closeField turns what was appended to dst since start into one CSV field:
// as it is, or in quotes where RFC 4180 needs them. Nothing else is done to a
// value: what a spreadsheet would take for a formula stays as it was sent,
// because these files are read by programs and a changed value is a wrong one.
func closeField(dst []byte, start int) []byte {
	if !needsQuotes(dst[start:]) {
		return dst
	}
	return quoteTail(dst, start)
}

// needsQuotes looks for a byte that would end a field or a record. Nearly all
// bytes of a text are above the comma.
func needsQuotes(field []byte) bool {
	for _, c := range field {
		if c <= ',' && (c == ',' || c == '"' || c == '\n' || c == '\r') {
			return true
		}
	}
	return false
}

// quoteTail puts dst[start:] in quotes where it stands. It works from the end,
// so that no byte is overwritten before it has moved.
func quoteTail(dst []byte, start int) []byte {
	quotes := bytes.Count(dst[start:], []byte{'"'})
	from := len(dst) - 1
	for range quotes + 2 {
		dst = append(dst, '"')
	}
	to := len(dst) - 2 // the last byte is the closing quote
	for ; quotes > 0; from-- {
		dst[to] = dst[from]
		to--
		if dst[from] == '"' {
			dst[to] = '"'
			to--
			quotes--
		}
	}
	copy(dst[start+1:to+1], dst[start:from+1])
	dst[start] = '"'
	return dst
}
