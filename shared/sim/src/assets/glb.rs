//! The binary glTF container and its geometry, read without trusting a single length in it.
//!
//! The `gltf` crate parses the JSON and validates its indices; the container's lengths are checked before it sees them, and
//! accessors are read here with checked arithmetic, because the crate's own readers slice without looking.

use glam::Vec3;
use gltf::accessor::{DataType, Dimensions};

/// Bytes of a map file: the arena has 100 KB; 64 MiB leaves room for scenery and keeps a wrong file from filling memory.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// Elements of one accessor: what the largest file could hold if each took one byte.
const ELEMENTS_MAX: usize = FILE_BYTES_MAX;

/// What is wrong with a container or its geometry, in words that end a sentence about the file or node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct GlbError {
    /// What was expected and what was found.
    pub problem: String,
    /// What to do about it.
    pub remedy: &'static str,
}

fn error<T>(problem: impl Into<String>, remedy: &'static str) -> Result<T, GlbError> {
    Err(GlbError { problem: problem.into(), remedy })
}

const EXPORT: &str = "export the scene again as glTF Binary (.glb)";
const PLAIN: &str = "export without compression, sparse accessors and quantisation";

/// A parsed file with its binary chunk.
#[derive(Debug)]
pub struct Glb {
    /// The nodes, meshes and accessors.
    pub document: gltf::Document,
    buffer: Vec<u8>,
}

/// Corners and triangles of a mesh as the file has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Geometry {
    /// Corners, all finite.
    pub vertices: Vec<Vec3>,
    /// Triangles; every index is below the number of corners.
    pub triangles: Vec<[u32; 3]>,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl Glb {
    /// Parses a binary glTF 2.0 file whose only buffer is inside it.
    pub fn parse(bytes: &[u8]) -> Result<Self, GlbError> {
        if bytes.len() > FILE_BYTES_MAX {
            return error(
                format!("expected at most {FILE_BYTES_MAX} bytes, found {}", bytes.len()),
                "remove textures and detailed scenery from the file",
            );
        }
        check_container(bytes)?;
        check_accessors(bytes)?;
        let gltf = match gltf::Gltf::from_slice(bytes) {
            Ok(gltf) => gltf,
            Err(cause) => return error(format!("expected valid glTF 2.0, found: {cause}"), EXPORT),
        };
        let buffer = gltf.blob.unwrap_or_default();
        Ok(Self { document: gltf.document, buffer })
    }

    /// Reads the triangles of a mesh, all primitives together, stopping with an error above `triangles_max`.
    pub fn geometry(&self, mesh: &gltf::Mesh<'_>, triangles_max: usize) -> Result<Geometry, GlbError> {
        let mut all = Geometry::default();
        for primitive in mesh.primitives() {
            if primitive.mode() != gltf::mesh::Mode::Triangles {
                return error(
                    format!("expected triangles, found primitive mode {:?}", primitive.mode()),
                    "delete loose points and edges, and triangulate on export",
                );
            }
            let Some(positions) = primitive.get(&gltf::Semantic::Positions) else {
                return error("expected a POSITION attribute, found none", EXPORT);
            };
            let base = all.vertices.len() as u32;
            let count = positions.count();
            // A triangle has three corners, so more corners than this can only be loose ones or an attack on memory.
            if count.saturating_add(all.vertices.len()) > triangles_max.saturating_mul(3) {
                return error(
                    format!("expected at most {} vertices, found {count}", triangles_max.saturating_mul(3)),
                    "use a simpler mesh for collision and keep the detailed one as scenery_",
                );
            }
            self.read_positions(&positions, &mut all.vertices)?;
            let indices = match primitive.indices() {
                Some(accessor) => {
                    if accessor.count() > triangles_max.saturating_mul(3) {
                        return error(
                            format!("expected at most {triangles_max} triangles, found {}", accessor.count() / 3),
                            "use a simpler mesh for collision and keep the detailed one as scenery_",
                        );
                    }
                    self.read_indices(&accessor)?
                }
                None => (0..count as u32).collect(),
            };
            if !indices.len().is_multiple_of(3) {
                return error(format!("expected three indices for each triangle, found {}", indices.len()), EXPORT);
            }
            for corners in indices.chunks_exact(3) {
                if let Some(wrong) = corners.iter().find(|index| **index as usize >= count) {
                    return error(format!("expected indices below {count}, found {wrong}"), EXPORT);
                }
                all.triangles.push([base + corners[0], base + corners[1], base + corners[2]]);
            }
            if all.triangles.len() > triangles_max {
                return error(
                    format!("expected at most {triangles_max} triangles, found {}", all.triangles.len()),
                    "use a simpler mesh for collision and keep the detailed one as scenery_",
                );
            }
        }
        Ok(all)
    }

    fn read_positions(&self, accessor: &gltf::Accessor<'_>, out: &mut Vec<Vec3>) -> Result<(), GlbError> {
        if accessor.data_type() != DataType::F32 || accessor.dimensions() != Dimensions::Vec3 {
            return error(
                format!(
                    "expected positions as VEC3 of F32, found {:?} of {:?}",
                    accessor.dimensions(),
                    accessor.data_type()
                ),
                PLAIN,
            );
        }
        for element in self.elements(accessor, 12)? {
            let lane = |at: usize| f32::from_le_bytes([element[at], element[at + 1], element[at + 2], element[at + 3]]);
            let vertex = Vec3::new(lane(0), lane(4), lane(8));
            if !vertex.is_finite() {
                return error(
                    format!("expected finite positions, found {vertex}"),
                    "find the broken vertex in the editor and delete it",
                );
            }
            out.push(vertex);
        }
        Ok(())
    }

    fn read_indices(&self, accessor: &gltf::Accessor<'_>) -> Result<Vec<u32>, GlbError> {
        if accessor.dimensions() != Dimensions::Scalar {
            return error(format!("expected indices as SCALAR, found {:?}", accessor.dimensions()), EXPORT);
        }
        Ok(match accessor.data_type() {
            DataType::U8 => self.elements(accessor, 1)?.map(|e| u32::from(e[0])).collect(),
            DataType::U16 => self.elements(accessor, 2)?.map(|e| u32::from(u16::from_le_bytes([e[0], e[1]]))).collect(),
            DataType::U32 => {
                self.elements(accessor, 4)?.map(|e| u32::from_le_bytes([e[0], e[1], e[2], e[3]])).collect()
            }
            other => return error(format!("expected indices as U8, U16 or U32, found {other:?}"), EXPORT),
        })
    }

    /// The bytes of each element, all bounds checked before the first is handed out.
    fn elements(
        &self,
        accessor: &gltf::Accessor<'_>,
        size: usize,
    ) -> Result<impl Iterator<Item = &[u8]> + use<'_>, GlbError> {
        if accessor.sparse().is_some() {
            return error("expected plain accessors, found a sparse one", PLAIN);
        }
        let Some(view) = accessor.view() else {
            return error("expected data for every accessor, found one without a buffer view", EXPORT);
        };
        if !matches!(view.buffer().source(), gltf::buffer::Source::Bin) {
            return error("expected all data inside the file, found a buffer in another file", EXPORT);
        }
        let (count, stride) = (accessor.count(), view.stride().unwrap_or(size));
        let range = view.offset().checked_add(view.length()).and_then(|end| self.buffer.get(view.offset()..end));
        let fits = range.is_some_and(|bytes| {
            count
                .saturating_sub(1)
                .checked_mul(stride)
                .and_then(|at| at.checked_add(accessor.offset())?.checked_add(size))
                .is_some_and(|end| count == 0 || end <= bytes.len())
        });
        let Some(bytes) = range.filter(|_| fits && stride >= size && count <= ELEMENTS_MAX) else {
            return error(
                format!(
                    "expected {count} elements of {size} bytes, found a buffer of {} that ends before",
                    view.length()
                ),
                EXPORT,
            );
        };
        let start = accessor.offset();
        Ok((0..count).map(move |index| &bytes[start + index * stride..start + index * stride + size]))
    }
}

/// Checks the container's own lengths, which the parser would subtract and slice by.
fn check_container(bytes: &[u8]) -> Result<(), GlbError> {
    if !bytes.starts_with(b"glTF") {
        return error("expected a binary glTF file, found other bytes at its start", EXPORT);
    }
    match u32_at(bytes, 4) {
        Some(2) => {}
        Some(other) => return error(format!("expected glTF version 2, found {other}"), EXPORT),
        None => return error("expected a header of 12 bytes, found the end of the file", EXPORT),
    }
    let length = u32_at(bytes, 8).map(|length| length as usize);
    if length != Some(bytes.len()) {
        return error(
            format!("expected {} bytes as the header says, found {}", length.unwrap_or_default(), bytes.len()),
            "the file was cut or padded on its way: copy it again",
        );
    }
    let mut at = 12;
    let mut chunks = 0;
    while at < bytes.len() {
        let end = u32_at(bytes, at).and_then(|length| (length as usize).checked_add(at)?.checked_add(8));
        let kind = u32_at(bytes, at + 4).map(u32::to_le_bytes);
        match (end, kind, chunks) {
            (Some(end), Some(kind), 0 | 1) if end <= bytes.len() && end % 4 == 0 => {
                if &kind != if chunks == 0 { b"JSON" } else { b"BIN\0" } {
                    return error(format!("expected a JSON and then a BIN chunk, found {kind:?}"), EXPORT);
                }
                at = end;
            }
            (_, _, 0 | 1) => {
                return error(format!("expected a whole chunk at byte {at}, found its end missing"), EXPORT);
            }
            _ => return error("expected two chunks, found more", EXPORT),
        }
        chunks += 1;
    }
    if chunks == 0 {
        return error("expected a JSON chunk, found none", EXPORT);
    }
    Ok(())
}

/// Checks which accessors the primitives name: the parser's own validation looks them up before it has checked them.
fn check_accessors(bytes: &[u8]) -> Result<(), GlbError> {
    let end = u32_at(bytes, 12).map_or(20, |length| 20 + length as usize);
    let root: serde_json::Value = match serde_json::from_slice(bytes.get(20..end).unwrap_or_default()) {
        Ok(root) => root,
        Err(cause) => return error(format!("expected valid glTF 2.0, found: {cause}"), EXPORT),
    };
    let list =
        |value: &serde_json::Value, name: &str| value.get(name).and_then(|v| v.as_array()).cloned().unwrap_or_default();
    let count = list(&root, "accessors").len() as u64;
    for primitive in list(&root, "meshes").iter().flat_map(|mesh| list(mesh, "primitives")) {
        let attributes = primitive.get("attributes").and_then(|value| value.as_object());
        let targets = list(&primitive, "targets");
        let morphs = targets.iter().filter_map(|target| target.as_object());
        let named = attributes.into_iter().chain(morphs).flat_map(|map| map.values()).chain(primitive.get("indices"));
        if let Some(wrong) = named.filter_map(|value| value.as_u64()).find(|index| *index >= count) {
            return error(format!("expected an accessor below {count}, found {wrong}"), EXPORT);
        }
    }
    Ok(())
}
