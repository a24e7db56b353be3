// SPDX-License-Identifier: Apache-2.0

// What the engine is measured against: a client-go informer of Nodes, as most Go programs would write it. It prints a JSON line per
// callback with CLOCK_MONOTONIC, the clock of Python's time.monotonic(), so that its times and the bench's can be subtracted.
// Nothing in it is tuned: no transform, no protobuf, no resync. It ends with its standard input.
//
// Usage: informer KUBECONFIG [quiet]     quiet: no line for updates (heartbeats), so that printing isn't what is measured
package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		fail(err)
	}
	return now.Nano()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "informer:", err)
	os.Exit(1)
}

func tell(what, name string, at int64) {
	fmt.Printf("{\"what\": %q, \"name\": %q, \"at\": %d}\n", what, name, at)
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: informer KUBECONFIG [quiet]")
		os.Exit(2)
	}
	quiet := len(os.Args) > 2 && os.Args[2] == "quiet"
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		fail(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		fail(err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Nodes().Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			at := monotonic()
			tell("add", object.(*corev1.Node).Name, at)
		},
		UpdateFunc: func(_, object any) {
			at := monotonic()
			if !quiet {
				tell("update", object.(*corev1.Node).Name, at)
			}
		},
	})
	if err != nil {
		fail(err)
	}
	stop := make(chan struct{})
	factory.Start(stop)
	for _, done := range factory.WaitForCacheSync(stop) {
		if !done {
			fail(fmt.Errorf("the cache did not sync"))
		}
	}
	tell("synced", "", monotonic())
	io.Copy(io.Discard, os.Stdin)
	close(stop)
}
