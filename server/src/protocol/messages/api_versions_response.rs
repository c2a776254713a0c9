//! `ApiVersionsResponse`: api key 18, versions 0-4, flexible from 3.
//!
//! Written by `cargo xtask codegen` from `schemas/api_versions.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
    put_tagged, put_uvarint,
};

/// The `ApiVersionsResponse` message.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiVersionsResponse<'a> {
    pub error_code: i16,
    pub api_keys: List<'a, ApiVersion>,
    /// In versions 1-4.
    pub throttle_time_ms: i32,
    /// In versions 3-4, tagged field 0.
    pub supported_features: List<'a, SupportedFeatureKey<'a>>,
    /// In versions 3-4, tagged field 1.
    pub finalized_features_epoch: i64,
    /// In versions 3-4, tagged field 2.
    pub finalized_features: List<'a, FinalizedFeatureKey<'a>>,
    /// In versions 3-4, tagged field 3.
    pub zk_migration_ready: bool,
}

impl Default for ApiVersionsResponse<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            api_keys: List::new(),
            throttle_time_ms: 0,
            supported_features: List::new(),
            finalized_features_epoch: -1,
            finalized_features: List::new(),
            zk_migration_ready: false,
        }
    }
}

impl<'a> Wire<'a> for ApiVersionsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let mut value = Self {
            error_code: Wire::read(reader, v, "ApiVersionsResponse.error_code")?,
            api_keys: Wire::read(reader, v, "ApiVersionsResponse.api_keys")?,
            throttle_time_ms: if v.number >= 1 {
                Wire::read(reader, v, "ApiVersionsResponse.throttle_time_ms")?
            } else {
                0
            },
            supported_features: List::new(),
            finalized_features_epoch: -1,
            finalized_features: List::new(),
            zk_migration_ready: false,
        };
        if v.is_flexible {
            reader.tagged_fields("ApiVersionsResponse", |tag, reader| {
                match tag {
                    0 => {
                        value.supported_features =
                            Wire::read(reader, v, "ApiVersionsResponse.supported_features")?
                    }
                    1 => {
                        value.finalized_features_epoch =
                            Wire::read(reader, v, "ApiVersionsResponse.finalized_features_epoch")?
                    }
                    2 => {
                        value.finalized_features =
                            Wire::read(reader, v, "ApiVersionsResponse.finalized_features")?
                    }
                    3 => {
                        value.zk_migration_ready =
                            Wire::read(reader, v, "ApiVersionsResponse.zk_migration_ready")?
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "ApiVersionsResponse.error_code")?;
        self.api_keys.write(sink, v, "ApiVersionsResponse.api_keys")?;
        if v.number >= 1 {
            self.throttle_time_ms.write(sink, v, "ApiVersionsResponse.throttle_time_ms")?;
        }
        if v.is_flexible {
            let has_tag_0 = !self.supported_features.is_empty();
            let has_tag_1 = self.finalized_features_epoch != -1;
            let has_tag_2 = !self.finalized_features.is_empty();
            let has_tag_3 = self.zk_migration_ready;
            put_uvarint(
                sink,
                u32::from(has_tag_0)
                    + u32::from(has_tag_1)
                    + u32::from(has_tag_2)
                    + u32::from(has_tag_3),
            )?;
            if has_tag_0 {
                put_tagged(
                    sink,
                    v,
                    0,
                    &self.supported_features,
                    "ApiVersionsResponse.supported_features",
                )?;
            }
            if has_tag_1 {
                put_tagged(
                    sink,
                    v,
                    1,
                    &self.finalized_features_epoch,
                    "ApiVersionsResponse.finalized_features_epoch",
                )?;
            }
            if has_tag_2 {
                put_tagged(
                    sink,
                    v,
                    2,
                    &self.finalized_features,
                    "ApiVersionsResponse.finalized_features",
                )?;
            }
            if has_tag_3 {
                put_tagged(
                    sink,
                    v,
                    3,
                    &self.zk_migration_ready,
                    "ApiVersionsResponse.zk_migration_ready",
                )?;
            }
        }
        Ok(())
    }
}

/// `api_keys` in `ApiVersionsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApiVersion {
    pub api_key: i16,
    pub min_version: i16,
    pub max_version: i16,
}

impl<'a> Wire<'a> for ApiVersion {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            api_key: Wire::read(reader, v, "ApiVersion.api_key")?,
            min_version: Wire::read(reader, v, "ApiVersion.min_version")?,
            max_version: Wire::read(reader, v, "ApiVersion.max_version")?,
        };
        reader.skip_tagged_fields(v, "ApiVersion")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.api_key.write(sink, v, "ApiVersion.api_key")?;
        self.min_version.write(sink, v, "ApiVersion.min_version")?;
        self.max_version.write(sink, v, "ApiVersion.max_version")?;
        put_no_tags(sink, v)
    }
}

/// `supported_features` in `ApiVersionsResponse`.
/// In versions 3-4.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SupportedFeatureKey<'a> {
    pub name: &'a str,
    pub min_version: i16,
    pub max_version: i16,
}

impl<'a> Wire<'a> for SupportedFeatureKey<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "SupportedFeatureKey.name")?,
            min_version: Wire::read(reader, v, "SupportedFeatureKey.min_version")?,
            max_version: Wire::read(reader, v, "SupportedFeatureKey.max_version")?,
        };
        reader.skip_tagged_fields(v, "SupportedFeatureKey")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "SupportedFeatureKey.name")?;
        self.min_version.write(sink, v, "SupportedFeatureKey.min_version")?;
        self.max_version.write(sink, v, "SupportedFeatureKey.max_version")?;
        put_no_tags(sink, v)
    }
}

/// `finalized_features` in `ApiVersionsResponse`.
/// In versions 3-4.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FinalizedFeatureKey<'a> {
    pub name: &'a str,
    pub max_version_level: i16,
    pub min_version_level: i16,
}

impl<'a> Wire<'a> for FinalizedFeatureKey<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "FinalizedFeatureKey.name")?,
            max_version_level: Wire::read(reader, v, "FinalizedFeatureKey.max_version_level")?,
            min_version_level: Wire::read(reader, v, "FinalizedFeatureKey.min_version_level")?,
        };
        reader.skip_tagged_fields(v, "FinalizedFeatureKey")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "FinalizedFeatureKey.name")?;
        self.max_version_level.write(sink, v, "FinalizedFeatureKey.max_version_level")?;
        self.min_version_level.write(sink, v, "FinalizedFeatureKey.min_version_level")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ApiVersionsResponse<'a> {
    const NAME: &'static str = "ApiVersionsResponse";
    const API: ApiKey = ApiKey::ApiVersions;
}
