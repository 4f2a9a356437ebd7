// Command hello is a tool for the tests of finding and building: it prints its version.
package main

import "fmt"

var version = "unknown"

func main() { fmt.Println("hello version v" + version) }
