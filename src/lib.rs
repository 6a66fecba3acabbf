//! cairn: from a recipe to an OCI image whose digest follows from its inputs.
//!
//! The rooms, in the order in which they may know each other; `tests/it/rooms.rs` keeps it so.
//! Data flows from `frontend` to `export`; nothing inside prints, exits, or reads arguments or
//! the environment: `cli` and `ui` stand outside and call in.

// The values that every room shares: digests, canonical JSON, paths, platforms, the epoch.
pub mod canon;

// What of a command's files tells when and where it ran.
pub mod normal;

// The build graph as pure data: steps, edges, keys, and how they are printed.
pub mod plan;

// A table of entries to a canonical tar and its compressed blob, and back.
pub mod layer;

// A command on layers of folders, kept in.
pub mod sandbox;

// Configs, manifests and indexes as pure data.
pub mod image;

// What differs between two images, layers, folders or files, as values.
pub mod compare;

// What names that can move meant when they were locked, as text and pure data.
pub mod lock;

// Which inputs a build may have, and what it takes in place of some, as pure data.
pub mod policy;

// Packages of distributions: versions, dependencies, and which go together.
pub mod packages;

// The text of a recipe to a plan.
pub mod frontend;

// The content-addressed store on disk.
pub mod store;

// Registries: pulling, pushing, and serving the store as one.
pub mod registry;

// The network of a step, recorded and replayed.
pub mod proxy;

// What a plan names, as digests and bytes: contexts, base images, archives, downloads.
pub mod inputs;

// One step's inputs to the layer that it makes.
pub mod step;

// The inputs of a lock as an artifact, and back.
pub mod keep;

// A recipe to an image: resolve, run the steps by key, assemble.
pub mod build;

// An image to an archive, a folder or an engine.
pub mod export;

// What a rebuild shows of an image, as a statement; what several rebuilders agree on; why one differs.
pub mod verify;

// Events and errors as lines on a terminal.
pub mod ui;

// The command line: arguments to one call each.
pub mod cli;
