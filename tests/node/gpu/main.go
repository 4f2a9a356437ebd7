// A device plugin for GPUs that are not there: kubelet's real interface (DevicePlugin v1beta1), devices from a file.
//
// The file holds one JSON object, device id -> "Healthy" or "Unhealthy". It is read five times a second, so that
// unplugging a device is rewriting the file. Containers get what a container toolkit would read
// (NVIDIA_VISIBLE_DEVICES), and no device nodes: everything works up to the driver.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	look    = 200 * time.Millisecond
	contact = 10 * time.Second
)

// Set by the build.
var version = "unknown"

type plugin struct {
	api.UnimplementedDevicePluginServer
	file string
}

// devices reads the file; a device whose word is not "Healthy" is not healthy.
func (p *plugin) devices() ([]*api.Device, error) {
	raw, err := os.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	words := map[string]string{}
	if err := json.Unmarshal(raw, &words); err != nil {
		return nil, fmt.Errorf("%s: %w", p.file, err)
	}
	ids := make([]string, 0, len(words))
	for id := range words {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	found := make([]*api.Device, 0, len(ids))
	for _, id := range ids {
		health := api.Unhealthy
		if words[id] == api.Healthy {
			health = api.Healthy
		}
		found = append(found, &api.Device{ID: id, Health: health})
	}
	return found, nil
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	told := map[string]string{"": ""}
	for {
		devices, err := p.devices()
		if err != nil {
			// Half written; the next look finds it whole.
			log.Print(err)
		} else if now := summary(devices); !reflect.DeepEqual(now, told) {
			log.Printf("devices: %v", now)
			if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
				return err
			}
			told = now
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(look):
		}
	}
}

func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	answer := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		ids := strings.Join(container.DevicesIds, ",")
		log.Printf("allocated: %s", ids)
		answer.ContainerResponses = append(answer.ContainerResponses,
			&api.ContainerAllocateResponse{Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": ids}})
	}
	return answer, nil
}

func summary(devices []*api.Device) map[string]string {
	words := map[string]string{}
	for _, device := range devices {
		words[device.ID] = device.Health
	}
	return words
}

// serve offers the plugin and registers it, until kubelet's socket is another one: a kubelet that starts again
// forgets its plugins and removes their sockets.
func serve(p *plugin, folder, resource string) error {
	kubelet := filepath.Join(folder, "kubelet.sock")
	before, err := os.Stat(kubelet)
	if err != nil {
		return err
	}
	endpoint := "sparkrig-gpu.sock"
	socket := filepath.Join(folder, endpoint)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	if err := register(kubelet, endpoint, resource); err != nil {
		return err
	}
	log.Printf("registered %s", resource)
	for {
		time.Sleep(look)
		now, err := os.Stat(kubelet)
		// The number of a file that was removed is given to the next one, so its time is looked at too.
		same := err == nil && os.SameFile(before, now) && now.ModTime().Equal(before.ModTime())
		if _, gone := os.Stat(socket); gone != nil || !same {
			return fmt.Errorf("kubelet's socket is gone or new: registering again")
		}
	}
}

func register(kubelet, endpoint, resource string) error {
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), contact)
	defer cancel()
	_, err = api.NewRegistrationClient(connection).Register(ctx,
		&api.RegisterRequest{Version: api.Version, Endpoint: endpoint, ResourceName: resource})
	return err
}

func main() {
	file := flag.String("devices", "", "JSON file: device id -> Healthy or Unhealthy")
	folder := flag.String("sockets", api.DevicePluginPath, "folder of kubelet's device plugin sockets")
	resource := flag.String("resource", "nvidia.com/gpu", "name of the extended resource")
	ask := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *ask {
		fmt.Println("pretend-gpu v" + version)
		return
	}
	if *file == "" {
		log.Fatal("-devices is missing: expected a JSON file, device id -> Healthy or Unhealthy")
	}
	p := &plugin{file: *file}
	for {
		log.Print(serve(p, *folder, *resource))
		time.Sleep(look)
	}
}
