"""CertificateSigningRequests: judged by what each signer signs, approved where roles say so, signed, and
cleaned away (upstream's `pkg/controller/certificates`; documentation, "Certificates and Certificate Signing
Requests").
"""
