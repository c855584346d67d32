package objects

import (
	"context"
	"errors"
	"net"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Unreachable reports whether err means that the store is temporarily unavailable:
// no connection, a timeout, or a response that asks for a retry.
func Unreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && response.Response != nil {
		code := response.HTTPStatusCode()
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}
