//! Header fields and bodies between Python's objects and ours.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use tern_wire::Fields;

/// Header fields from a dict of texts.
pub(crate) fn fields_of(dict: &Bound<'_, PyDict>) -> PyResult<Fields> {
    let mut fields = Fields::new();
    for (key, value) in dict.iter() {
        fields.set(
            key.cast::<PyString>()?.to_str()?,
            value.cast::<PyString>()?.to_str()?,
        );
    }
    Ok(fields)
}

/// A dict of texts from header fields.
pub(crate) fn dict_of<'py>(py: Python<'py>, fields: &Fields) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in fields.iter() {
        // The same few keys come again and again; an interned one is hashed once and compared by identity.
        dict.set_item(PyString::intern(py, key), PyString::new(py, value))?;
    }
    Ok(dict)
}

/// A body of ours: copied, because Python's memory can only be given back by a thread that is attached.
pub(crate) fn body_of(bytes: &Bound<'_, PyBytes>) -> Bytes {
    Bytes::copy_from_slice(bytes.as_bytes())
}
