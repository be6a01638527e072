package gateway

import "strings"

// PageFiles are the paths of the dashboard that are one file each.
func PageFiles() []string { return []string{"/", "/theme.js", "/favicon.svg"} }

// PageFolders are the paths of the dashboard with all that is below them: its pages,
// whose addresses the app reads itself, and the files that it is made of.
func PageFolders() []string {
	return []string{"/chat", "/usage", "/requests", "/keys", "/system", "/people", "/account", "/sign-in", AssetsPath}
}

// AssetsPath is the folder of the dashboard's files whose names change with what they hold.
const AssetsPath = "/assets"

// IsPage reports whether a path belongs to the dashboard.
func IsPage(path string) bool {
	for _, file := range PageFiles() {
		if path == file {
			return true
		}
	}
	for _, folder := range PageFolders() {
		if path == folder || strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}
