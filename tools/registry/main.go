// The registry with what the tests of oci:// sources need, a folder for storage and htpasswd for passwords: its own
// main program would add the SDKs of three clouds, and minutes to each cold build.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"

	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}
