// Creates a user, triggers a workflow and reads the feed, with the standard library: go run welcome.go
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

var client = &http.Client{Timeout: 10 * time.Second}

func call(method, path string, body any, key string, result any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequest(method, os.Getenv("ROLLBOOK_SERVER_URL")+path, bytes.NewReader(text))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+os.Getenv("ROLLBOOK_SECRET_KEY"))
		request.Header.Set("Content-Type", "application/json")
		if key != "" {
			request.Header.Set("Idempotency-Key", key)
		}
		seconds := 1
		answer, err := client.Do(request)
		if err == nil {
			found, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode < 400 {
				if result == nil || answer.StatusCode == 204 {
					return nil
				}
				return json.Unmarshal(found, result)
			}
			err = fmt.Errorf("%d: %s", answer.StatusCode, found)
			if answer.StatusCode != 503 {
				return err
			}
			if given, wrong := strconv.Atoi(answer.Header.Get("Retry-After")); wrong == nil {
				seconds = given
			}
		}
		if attempt == 5 {
			return err
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ann := map[string]any{"name": "Ann", "plan": "pro"}
	must(call("PUT", "/v1/users/ann", ann, "signup-ann", nil))
	must(call("PUT", "/v1/users/ann", ann, "signup-ann", nil)) // sent again: nothing happens twice
	welcome := map[string]any{"recipients": []string{"ann"}, "data": map[string]any{"page": 7}}
	must(call("POST", "/v1/workflows/welcome/trigger", welcome, "welcome-ann", nil))
	var feed struct {
		Meta    struct{ Unread_count int }
		Entries []struct{ Data struct{ Page int } }
	}
	must(call("GET", "/v1/users/ann/feeds/in_app", nil, "", &feed))
	fmt.Println(feed.Meta.Unread_count, feed.Entries[0].Data.Page)
}
