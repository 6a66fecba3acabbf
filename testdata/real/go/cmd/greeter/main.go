// A service that greets whoever asks.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
)

var version = "unset"

func greeting(name string) string {
	if name == "" {
		name = "world"
	}
	return fmt.Sprintf("hello, %s, from %s\n", name, version)
}

func main() {
	listen := flag.String("listen", ":8080", "address to listen on")
	once := flag.String("once", "", "greet this name and end")
	flag.Parse()
	if *once != "" {
		fmt.Fprint(os.Stdout, greeting(*once))
		return
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, greeting(r.URL.Query().Get("name")))
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
