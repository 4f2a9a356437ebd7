// Command second is built together with hello.
package main

import "fmt"

func main() { fmt.Println("second version v1.2.3") }
