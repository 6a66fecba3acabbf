// Tells who built it.
package main

import (
	"fmt"
	"os/user"
)

var built, host string

func main() {
	who, err := user.Current()
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: built %q on %q\n", who.Username, built, host)
}
