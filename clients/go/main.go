// A client made by oapi-codegen from openapi.yaml: it uploads a package, publishes it, follows the job to its end, pulls it
// back and saves the archive.
//
//	go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -package main -generate types,client -o layerd.gen.go ../../openapi.yaml
//	go run . -api http://127.0.0.1:8420 -package zarf-package-nemo-amd64-1.2.0.tar.zst -to oci://localhost:5000/team -save /tmp
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

func main() {
	api := flag.String("api", "http://127.0.0.1:8420", "where layerd listens")
	file := flag.String("package", "", "a package archive")
	to := flag.String("to", "", "oci://REGISTRY/NAMESPACE")
	save := flag.String("save", ".", "where to save what is pulled")
	flag.Parse()
	if err := run(context.Background(), *api, *file, *to, *save); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, api, file, to, folder string) error {
	client, err := NewClientWithResponses(api)
	if err != nil {
		return err
	}
	upload, err := send(ctx, client, file)
	if err != nil {
		return err
	}
	var publish JobRequest
	if err := publish.FromPublishRequest(PublishRequest{Kind: PublishRequestKindPublish, Source: "upload:" + upload.String(), Destination: to}); err != nil {
		return err
	}
	published, err := finish(ctx, client, api, publish)
	if err != nil {
		return err
	}
	fmt.Println("published", published.Digest)
	transient := true
	options := PullOptions{Transient: &transient}
	var pull JobRequest
	if err := pull.FromPullRequest(PullRequest{Kind: PullRequestKindPull, Source: published.Reference, Options: &options}); err != nil {
		return err
	}
	pulled, err := finish(ctx, client, api, pull)
	if err != nil {
		return err
	}
	return fetch(ctx, api+*pulled.Archive, filepath.Join(folder, filepath.Base(file)))
}

func send(ctx context.Context, client *ClientWithResponses, path string) (uuid.UUID, error) {
	file, err := os.Open(path)
	if err != nil {
		return uuid.Nil, err
	}
	defer file.Close()
	answer, err := client.PutUploadWithBodyWithResponse(ctx, filepath.Base(path), nil, "application/octet-stream", file)
	if err != nil {
		return uuid.Nil, err
	}
	if answer.JSON201 == nil {
		return uuid.Nil, refusal(answer.ApplicationproblemJSONDefault)
	}
	return answer.JSON201.Id, nil
}

type result struct {
	Reference string
	Digest    string
	Archive   *string
}

// Makes the job and follows its events to their end.
func finish(ctx context.Context, client *ClientWithResponses, api string, body JobRequest) (*result, error) {
	made, err := client.CreateJobWithResponse(ctx, nil, body)
	if err != nil {
		return nil, err
	}
	if made.JSON202 == nil {
		return nil, refusal(made.ApplicationproblemJSONDefault)
	}
	id := made.JSON202.Id
	request, err := NewFollowJobEventsRequest(api, id.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	events, err := http.DefaultClient.Do(request.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer events.Body.Close()
	lines := bufio.NewScanner(events.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found || data == "" {
			continue
		}
		var event JobEvent
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return nil, err
		}
		kind, err := event.Discriminator()
		if err != nil {
			return nil, err
		}
		if kind != "end" {
			continue
		}
		end, err := event.AsEndEvent()
		if err != nil {
			return nil, err
		}
		var job struct {
			State  string
			Error  *Problem
			Result *result
		}
		text, err := json.Marshal(end.Job)
		if err == nil {
			err = json.Unmarshal(text, &job)
		}
		if err != nil {
			return nil, err
		}
		if job.Result == nil {
			return nil, refusal(job.Error)
		}
		return job.Result, nil
	}
	return nil, errors.Join(errors.New("the stream ended before the job"), lines.Err())
}

func fetch(ctx context.Context, url, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, answer.Body); err != nil {
		return err
	}
	fmt.Println("saved", path)
	return file.Close()
}

func refusal(problem *Problem) error {
	if problem == nil {
		return errors.New("the daemon refused, without a word")
	}
	return fmt.Errorf("%s: %s", problem.Code, problem.Detail)
}
